set(pictures_sources png.cpp font.cpp picture.cpp picture_blit.cpp confusion_picture.cpp mistakes_picture.cpp)
